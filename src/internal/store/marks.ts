/** The type of the mark that ends a tombstoned stream: its last event, which reads of the stream do not show. */
export const tombstoned = "$Tombstoned" as const
