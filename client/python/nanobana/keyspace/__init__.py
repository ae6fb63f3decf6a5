"""Every key name and every Lua script of the store, shared by server and engine so that there is one copy (C7)."""
