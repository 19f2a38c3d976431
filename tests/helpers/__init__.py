"""What several test modules share: loopback servers, corpora in owners' layouts, small trainings."""
