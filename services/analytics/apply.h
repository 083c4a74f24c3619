/*
 * apply.h — a fold becomes one list of changes
 *
 * Why:    the sorted fold is run over once for each size of bucket, so that neighbours that fall
 *         into the same bucket are one change.
 */
#pragma once

struct changes;
struct fold;

/* Sorts the fold and appends its changes. */
void apply_fold(struct fold *fold, struct changes *changes);
