"""What goes on the wire: identity, subjects, CloudEvents headers, payloads, topology."""
