// What pages do beyond reading and sending forms. Everything works without it.
(() => {
  "use strict";

  const say = (text) => {
    const region = document.getElementById("spoken");
    if (region) region.textContent = text;
  };

  // A button beside each text that is there to be copied.
  const copyable = (code) => {
    const holder = code.parentElement;
    if (holder.querySelector(":scope > button.copy")) return;
    const words = document.body.dataset;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy quiet";
    button.textContent = words.copy;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
      } catch {
        getSelection().selectAllChildren(code);
        return;
      }
      button.textContent = words.copied;
      say(words.copied);
      setTimeout(() => { button.textContent = words.copy; }, 2000);
    });
    holder.append(button);
  };

  const units = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const relative = (time) => {
    const seconds = (Date.parse(time.dateTime) - Date.now()) / 1000;
    if (Number.isNaN(seconds)) return;
    const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size) ?? units.at(-1);
    if (!time.title) time.title = time.textContent;
    const format = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto" });
    time.textContent = format.format(Math.round(seconds / size), unit);
  };

  const enhance = (root) => {
    if (navigator.clipboard) {
      root.querySelectorAll("pre > code, .endpoint > code").forEach(copyable);
    }
    root.querySelectorAll("time.ago[datetime]").forEach(relative);
  };

  // An address names what was chosen, and not what was left empty.
  document.addEventListener("htmx:configRequest", (event) => {
    const { verb, parameters } = event.detail;
    if (verb !== "get") return;
    for (const name of Object.keys(parameters)) {
      if (parameters[name] === "") delete parameters[name];
    }
  });

  // What somebody unfolded stays unfolded when a part of the page is asked for again.
  let unfolded = [];
  document.addEventListener("htmx:beforeSwap", (event) => {
    unfolded = [...event.detail.target.querySelectorAll("details[open][id]")].map((details) => details.id);
  });

  // What was refused says why in the page that is answered, which is shown as any other.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { requestConfig, xhr } = event.detail;
    if (requestConfig.verb !== "post" || xhr.status < 400) return;
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  });

  document.addEventListener("DOMContentLoaded", () => enhance(document));
  document.addEventListener("causeway:shown", (event) => enhance(event.target));
  document.addEventListener("htmx:afterSwap", (event) => {
    // A swapped element is another one of the same name.
    const target = event.detail.target ?? document.body;
    const swapped = document.getElementById(target.id) ?? target;
    enhance(swapped);
    for (const id of unfolded) document.getElementById(id)?.setAttribute("open", "");
    // What had the focus went with what was swapped.
    if (document.activeElement === document.body) swapped.focus({ preventScroll: true });
    const spoken = swapped.querySelector("[data-say]");
    if (spoken) say(spoken.textContent.trim());
  });
})();
