// Shows the application's documents: the merged one first, then that of each service. Nothing is asked of another host, and a token that
// is typed here is forgotten with the page.
fetch("/docs/documents.json")
  .then((response) => response.json())
  .then(({ title, documents }) => {
    document.title = `${title}: API`;
    window.viewer = SwaggerUIBundle({
      dom_id: "#viewer",
      urls: documents,
      presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
      layout: "StandaloneLayout",
      deepLinking: true,
      displayRequestDuration: true,
      filter: true,
      persistAuthorization: false,
      tryItOutEnabled: true,
      validatorUrl: null,
    });
  });
