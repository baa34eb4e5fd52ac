-- The name of the tool that gave an answer, as its limits count it.
ALTER TABLE answers ADD COLUMN tool TEXT;
