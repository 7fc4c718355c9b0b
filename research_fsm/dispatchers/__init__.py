"""Who performs the hand-over of a run. Each dispatcher is a module to import explicitly."""
