"use strict";
// Without a validatorUrl of null the page would ask an outside service to check the description.
SwaggerUIBundle({
  url: document.getElementById("swagger-ui").dataset.spec,
  dom_id: "#swagger-ui",
  validatorUrl: null,
});
