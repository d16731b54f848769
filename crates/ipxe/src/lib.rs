//! iPXE scripts and kernel command lines as parsed values with a serializer per target.
