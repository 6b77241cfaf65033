// The socket: joins the session, sends what waits in the store's queue, and again after a break, each with its own id.
import { io } from "./vendor/socket.io.esm.min.js";

const ANSWER_MS = 60000;

export class Connection {
  // handlers: state("connecting"|"online"|"offline"), reply(data), settled(item, state), signedOut()
  constructor(store, handlers) {
    this.store = store;
    this.handlers = handlers;
    this.token = null;
    this.ready = false;
    this.flying = new Set();
    this.socket = io({ autoConnect: false, reconnectionDelay: 500, reconnectionDelayMax: 5000 });
    this.socket.on("connect", () => {
      this.socket.emit("session_request", { session_id: store.sessionId, after: store.lastReplyId });
    });
    this.socket.on("session_confirm", (sessionId) => {
      store.sessionId = sessionId;
      store.save();
      this.ready = true;
      handlers.state("online");
      this.flush();
    });
    this.socket.on("bot_uttered", (data) => handlers.reply(data || {}));
    this.socket.on("disconnect", () => this.lost());
    this.socket.on("connect_error", () => this.lost());
  }

  open(token) {
    this.token = token;
    this.socket.connect();
  }

  restart() {
    this.socket.disconnect();
    this.socket.connect();
  }

  lost() {
    this.ready = false;
    this.flying.clear();
    this.handlers.state("offline");
    // The client does not come back by itself where the server closed the connection on purpose.
    if (!this.socket.active) setTimeout(() => this.socket.connect(), 1000);
  }

  flush() {
    if (!this.ready) return;
    for (const item of this.store.queue) {
      if (!this.flying.has(item.id)) this.send(item);
    }
  }

  send(item) {
    this.flying.add(item.id);
    const metadata = this.token ? { ...item.metadata, customer_token: this.token } : item.metadata;
    const body = { session_id: this.store.sessionId, message: item.text, metadata };
    this.socket.timeout(ANSWER_MS).emit("user_uttered", body, (error, ack) => {
      // A broken connection is no failure: the item stays in the queue for the next one.
      if (error && !this.ready) return;
      this.flying.delete(item.id);
      if (error || !ack?.ok) {
        this.handlers.settled(item, "failed");
        return;
      }
      this.handlers.settled(item, "sent");
      if (this.token && !ack.repeated && !ack.signed_in) this.handlers.signedOut();
    });
  }
}
