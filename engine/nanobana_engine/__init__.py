"""The GPU worker: it turns queued edits into patches of pixels."""
