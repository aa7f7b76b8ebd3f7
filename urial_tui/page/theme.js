// Light and dark: as the system has it, or as was chosen.

const THEME_KEY = "urial-report-theme";
const THEMES = ["auto", "light", "dark"];

// A browser may refuse storage to files; then the choice lasts as long as the page.
function stored(theme) {
  try {
    if (theme) localStorage.setItem(THEME_KEY, theme);
    return localStorage.getItem(THEME_KEY);
  } catch {
    return null;
  }
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  byId("theme-button").textContent = { auto: "Theme: auto", light: "Theme: light", dark: "Theme: dark" }[theme];
}

function listenToTheme() {
  const theme = stored();
  setTheme(THEMES.includes(theme) ? theme : "auto");
  byId("theme-button").addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
    setTheme(next);
    stored(next);
  });
}
