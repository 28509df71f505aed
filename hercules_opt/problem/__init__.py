"""What an instance is: schema, units, provenance, loading, the built-in library."""
