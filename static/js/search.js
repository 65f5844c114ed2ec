"use strict";
// The box of every page: `/` leads to it, what it finds drops down, arrows choose, Enter opens, Escape closes.
(function () {
  const box = document.getElementById("search");
  const found = document.getElementById("found");
  if (!box || !found) return;
  let chosen = -1;

  box.setAttribute("role", "combobox");
  box.setAttribute("aria-controls", "found");
  box.setAttribute("aria-autocomplete", "list");
  box.setAttribute("aria-expanded", "false");
  found.setAttribute("role", "listbox");
  found.setAttribute("aria-label", "Found");

  const options = () => [...found.querySelectorAll("[role=option]:not([aria-disabled])")];

  function choose(place) {
    const all = options();
    chosen = all.length ? (place + all.length + 1) % (all.length + 1) : -1;
    // One step past either end is the box itself.
    if (chosen === all.length) chosen = -1;
    all.forEach((option, i) => option.setAttribute("aria-selected", String(i === chosen)));
    if (chosen < 0) return box.removeAttribute("aria-activedescendant");
    box.setAttribute("aria-activedescendant", all[chosen].id);
    all[chosen].scrollIntoView({ block: "nearest" });
  }

  function show(isOpen) {
    found.hidden = !isOpen;
    box.setAttribute("aria-expanded", String(isOpen));
    choose(-1);
  }

  box.addEventListener("input", () => { if (!box.value.trim()) show(false); });
  box.addEventListener("focus", () => { if (box.value.trim() && found.childElementCount) show(true); });
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.elt === box && !box.value.trim()) event.preventDefault();
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target === found && document.activeElement === box) show(box.value.trim() !== "");
  });
  document.addEventListener("pointerdown", (event) => {
    if (!event.target.closest(".search")) show(false);
  });
  box.closest("form").addEventListener("focusout", (event) => {
    if (!event.relatedTarget || !event.relatedTarget.closest(".search")) setTimeout(() => { if (document.activeElement !== box) show(false); }, 150);
  });

  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      if (!found.hidden) show(false);
      else if (box.value) box.value = "";
      else box.blur();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (found.hidden && found.childElementCount && box.value.trim()) show(true);
      choose(event.key === "ArrowDown" ? chosen + 1 : chosen < 0 ? options().length - 1 : chosen - 1);
    } else if (event.key === "Enter" && chosen >= 0 && !found.hidden) {
      options()[chosen].click();
    } else return;
    event.preventDefault();
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    event.preventDefault();
    box.focus();
    box.select();
  });
})();
