"""Payloads of channels that a user defines: by JSON Schema, by template, from sample files."""
