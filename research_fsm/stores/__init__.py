"""Where the log is kept. Each store is a module to import explicitly: importing this package loads no driver."""
