-- Erasing a person blanks what a mail server had said when its mail was decided on; all else of a decision stays as it is.
GRANT UPDATE (detail) ON delivery_decisions TO muster_app;
