//! The store: schema, migrations, one file of queries per noun. The only SQL in the tree.
