"""Other tools that profiling is scheduled with: each imported only where it is installed."""
