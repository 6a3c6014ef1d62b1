"""The demo: four releases on a local AWS, shown live."""
