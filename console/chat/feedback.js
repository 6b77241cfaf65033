// Thumbs, corrections and stars. Each becomes {"message_id", ...} for the server; its receipt is shown beside the reply.
import { clone, log, put } from "./view.js";

const STARS = ["很不满意", "不满意", "一般", "满意", "很满意"];
const ASK = {
  meaning: "我其实想问的是……",
  reply: "更好的回答应该是……",
};

export class Feedback {
  // submit(feedback) brings it to the server.
  constructor(store, submit) {
    this.store = store;
    this.submit = submit;
  }

  attach(element, message) {
    const thumbs = [...element.querySelectorAll("[data-thumb]")];
    const press = () => thumbs.forEach((t) => t.setAttribute("aria-pressed", String(t.dataset.thumb === message.thumb)));
    const correct = element.querySelector("[data-correct]");
    press();
    if (message.said) this.say(element, message.said);
    for (const thumb of thumbs) {
      thumb.addEventListener("click", () => {
        if (message.thumb === thumb.dataset.thumb) return;
        message.thumb = thumb.dataset.thumb;
        press();
        this.submit({ message_id: message.id, thumb: message.thumb });
        if (message.thumb === "down" && !element.querySelector("form")) this.openCorrection(element, message, correct);
      });
    }
    correct.addEventListener("click", () => {
      const open = element.querySelector("form");
      if (open) this.closeCorrection(open, correct);
      else this.openCorrection(element, message, correct).querySelector("textarea").focus();
    });
  }

  openCorrection(element, message, opener) {
    const form = clone("correction");
    const text = form.querySelector("textarea");
    const target = () => form.querySelector("[name=target]:checked").value;
    const ask = () => {
      text.placeholder = ASK[target()];
      text.setAttribute("aria-label", ASK[target()]);
    };
    ask();
    form.addEventListener("change", ask);
    form.querySelector("[data-cancel]").addEventListener("click", () => this.closeCorrection(form, opener));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const correction = text.value.trim();
      if (!correction) return;
      this.submit({ message_id: message.id, correction, target: target() });
      this.closeCorrection(form, opener);
    });
    element.querySelector(".body").append(form);
    opener.setAttribute("aria-expanded", "true");
    form.scrollIntoView({ block: "nearest" });
    return form;
  }

  closeCorrection(form, opener) {
    form.remove();
    opener.setAttribute("aria-expanded", "false");
    opener.focus();
  }

  // The server's receipt {"feedback": "recorded"|"failed", "message_id"}.
  receipt({ feedback, message_id: id }) {
    const message = this.store.messages.find((m) => m.id === id);
    if (!message) return;
    message.said = feedback === "recorded" ? "已记下，谢谢您" : "没有存上，请再试一次";
    if (feedback !== "recorded") message.thumb = undefined;
    this.store.save();
    const element = log.querySelector(`[data-id="${CSS.escape(id)}"]`);
    if (!element) return;
    this.say(element, message.said, feedback !== "recorded");
    if (feedback !== "recorded") element.querySelectorAll("[data-thumb]").forEach((t) => t.setAttribute("aria-pressed", "false"));
  }

  say(element, words, bad = false) {
    const said = element.querySelector(".said");
    said.textContent = words;
    said.classList.toggle("said-bad", bad);
  }

  // The card with the stars at the end of the log; about the last reply.
  offerRating() {
    log.querySelector(".rating")?.remove();
    const about = this.store.lastReplyId;
    if (!about) return;
    const card = clone("rating");
    const hint = card.querySelector(".hint");
    const stars = STARS.map((name, index) => this.star(index + 1, name));
    const light = (count) => stars.forEach((star, index) => star.classList.toggle("lit", index < count));
    stars.forEach((star, index) => {
      star.addEventListener("click", () => {
        light(index + 1);
        stars.forEach((other, place) => other.setAttribute("aria-pressed", String(place === index)));
        hint.textContent = `${STARS[index]}，感谢您的评价`;
        this.store.rated = true;
        this.submit({ message_id: about, rating: index + 1 });
      });
    });
    card.querySelector(".stars").append(...stars);
    put(card);
    card.scrollIntoView({ block: "nearest" });
    return card;
  }

  star(count, name) {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-label", `${count}星，${name}`);
    button.setAttribute("aria-pressed", "false");
    button.append(clone("star"));
    return button;
  }
}
