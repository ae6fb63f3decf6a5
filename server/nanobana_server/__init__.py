"""The server: canvases, rooms and jobs over HTTP and WebSocket, on Redis or Valkey; never imports torch."""
