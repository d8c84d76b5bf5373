"""Where a model comes from: a hub, a local folder, a file inside a wheel. All end as a path."""
