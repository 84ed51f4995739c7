"""Operations go out: the RQ job, the steps of a release, the runtimes."""
