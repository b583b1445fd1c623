DROP INDEX engagements_by_contact;
