// Says when the page has lost its server: what is shown is then the last that was known.
(() => {
  const root = document.documentElement;
  const state = () => document.getElementById("link-state");
  const show = (lost) => {
    root.dataset.link = lost ? "lost" : "live";
    const element = state();
    if (element) element.textContent = lost ? "no answer, showing what was last known" : "live";
  };
  document.addEventListener("htmx:error", () => show(true));
  document.addEventListener("htmx:after:request", (event) => {
    const status = event.detail?.ctx?.response?.status ?? 0;
    show(status >= 400 || status === 0);
  });
})();
