-- The highest value of a number among BIOS settings, beside the lowest.
ALTER TABLE bios_settings ADD COLUMN upper_bound INTEGER;
