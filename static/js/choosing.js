"use strict";
// One box chooses all of its section.
document.addEventListener("change", function (event) {
  if (!event.target.matches("[data-choose-all]")) return;
  for (const box of event.target.closest("section").querySelectorAll(".choose")) box.checked = event.target.checked;
});
