DROP INDEX messages_by_contact;
