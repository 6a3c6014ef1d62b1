"""Hundreds of releases with faults, and the promises checked from the emulators' own journals."""
