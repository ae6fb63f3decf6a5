"""HTTP and the WebSocket's front door: routes, access, pictures, pages."""
