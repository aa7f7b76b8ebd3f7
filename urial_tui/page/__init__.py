"""Reports as one HTML file each: what all of them have in common."""
