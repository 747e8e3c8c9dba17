"""The gateway: runs over HTTP."""
