// Looks at /status again and again, and asks for a token where the server wants one.

import { call, useToken } from "./api.js";

export const NEEDED = "This server asks for an access token: enter it at the top of the page.";
const EVERY = 10_000; // ms between looks
const $ = (id) => document.getElementById(id);

/** Show every status; what is wrong stands in #status-error. */
export function follow(show) {
  async function look() {
    try {
      show(await call("/status"));
      $("status-error").hidden = true;
      return true;
    } catch (error) {
      const needed = error.status === 401 || error.status === 403;
      $("status-error").textContent = needed ? NEEDED : error.message;
      $("status-error").hidden = false;
      if (needed) $("token-form").hidden = false;
      return false;
    }
  }

  $("token-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    useToken($("token").value.trim());
    const good = await look();
    $("token-note").textContent = good ? "Kept until you leave this page." : "Not accepted.";
  });

  setInterval(() => { if (!document.hidden && $("status-error").hidden) look(); }, EVERY);
  look();
}
