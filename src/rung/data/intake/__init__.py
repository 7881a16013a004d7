"""From a folder, a single file or an archive to a set of documents: reading safely, child processes, what was read before."""
