//! Sources and sinks: HTTP, files, standard output, playground.
