"""What the `paraclap` command does: it finds recordings, listens to each once, and keeps and draws the answers."""
