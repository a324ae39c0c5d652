"""The HTTP interface: routes, forms, documents."""
