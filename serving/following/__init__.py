"""An event log that is read on as it grows: what is over of it, summed by user, stage and arm."""
