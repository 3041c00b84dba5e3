"use strict";
const form = document.getElementById("try");
const button = form.querySelector("button");
const answer = document.getElementById("answer");
const said = document.getElementById("said");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  said.textContent = "";
  const began = performance.now();
  try {
    const response = await fetch("invocations", {
      method: "POST",
      headers: { "Content-Type": document.getElementById("kind").value },
      body: document.getElementById("body").value,
    });
    const text = await response.text();
    answer.textContent = text;
    answer.classList.toggle("bad", !response.ok);
    said.textContent = `${response.status}, ${Math.round(performance.now() - began)} ms`;
  } catch (error) {
    answer.textContent = String(error);
    answer.classList.add("bad");
  } finally {
    button.disabled = false;
  }
});
