// Answers of models as they come, side by side. Without this, a page comes once all have answered.
(() => {
  "use strict";

  // What is asked now, to be stopped.
  let running = new Set();

  const say = (text) => {
    const region = document.getElementById("spoken");
    if (region) region.textContent = text;
  };

  // Server-sent events of a body, each an object.
  async function* events(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const pieces = (text + value).split("\n\n");
      text = pieces.pop();
      for (const piece of pieces) yield JSON.parse(piece.slice("data: ".length));
    }
  }

  // A place for an answer that is on its way.
  const begin = (model) => {
    const blank = document.getElementById("answering").content.cloneNode(true);
    const card = blank.querySelector("article");
    card.querySelector("h2 code").textContent = model;
    document.getElementById("answers").append(card);
    return card;
  };

  // Shows what was heard when it ends before its end.
  const broken = (card, words, isBad) => {
    card.querySelector(".waiting")?.remove();
    card.querySelector(".stop")?.closest("p").remove();
    card.querySelector(":scope > .said")?.removeAttribute("aria-busy");
    const note = document.createElement("p");
    note.className = isBad ? "notice bad" : "help";
    note.textContent = words;
    card.append(note);
    say(words);
  };

  const put = (card, html, model, form) => {
    const holder = document.createElement("template");
    holder.innerHTML = html;
    const answer = holder.content.querySelector("article");
    const focused = card.contains(document.activeElement);
    card.replaceWith(answer);
    answer.dispatchEvent(new CustomEvent("causeway:shown", { bubbles: true }));
    if (focused) {
      answer.tabIndex = -1;
      answer.focus({ preventScroll: true });
    }
    say(`${model}: ${form.dataset.answered}`);
  };

  const hear = async (form, fields, model) => {
    const card = begin(model);
    const stop = new AbortController();
    running.add(stop);
    card.querySelector(".stop").addEventListener("click", () => stop.abort());
    const said = card.querySelector(":scope > .said");
    const thought = card.querySelector(".thought");
    try {
      const body = new URLSearchParams({ ...fields, model });
      const response = await fetch(form.dataset.stream, { method: "POST", body, signal: stop.signal });
      const kind = response.headers.get("content-type") ?? "";
      if (!response.ok || !kind.startsWith("text/event-stream")) throw new Error(response.ok ? "" : String(response.status));
      for await (const { text, thought: more, html } of events(response.body)) {
        if (html !== undefined) return put(card, html, model, form);
        card.querySelector(".waiting")?.remove();
        if (text) said.append(text);
        if (more) {
          thought.hidden = false;
          thought.querySelector(".said").append(more);
        }
      }
      throw new Error("");
    } catch (error) {
      const stopped = error.name === "AbortError";
      broken(card, stopped ? form.dataset.stopped : `${form.dataset.broken} ${error.message}`, !stopped);
    } finally {
      running.delete(stop);
      document.getElementById("stop").hidden = running.size === 0;
    }
  };

  const send = (form) => {
    for (const stop of running) stop.abort();
    running = new Set();
    const data = new FormData(form);
    const models = data.getAll("model").map((name) => name.trim()).filter(Boolean);
    const fields = { csrf: data.get("csrf"), system: data.get("system"), message: data.get("message") };
    document.getElementById("answers").replaceChildren();
    document.getElementById("copies")?.remove();
    document.getElementById("stop").hidden = false;
    for (const model of models) hear(form, fields, model);
  };

  document.addEventListener("DOMContentLoaded", () => {
    const form = document.getElementById("playground");
    if (!form) return;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      send(form);
    });
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    });
    document.getElementById("stop").addEventListener("click", () => {
      for (const stop of running) stop.abort();
    });
  });
})();
