"""Everything that turns person crops into anonymized images, behind one interface."""
