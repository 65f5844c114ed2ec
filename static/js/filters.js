"use strict";
// Filters that are not set stay out of the address.
document.addEventListener("htmx:configRequest", function (event) {
  const wanted = event.detail.parameters;
  for (const name of Object.keys(wanted)) if (wanted[name] === "") delete wanted[name];
});
