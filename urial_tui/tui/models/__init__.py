"""The screens about models: what is here, what can be downloaded, and what is done with it."""
