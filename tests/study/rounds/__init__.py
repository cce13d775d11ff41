"""Tests of next rounds."""
