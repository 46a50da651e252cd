/* SPDX-License-Identifier: MIT
**
** fuzz_replay.c: runs a fuzz target on files, where there is no libFuzzer: fuzz_X_replay FILE ...  Each input is a
** buffer of its own size, so that AddressSanitizer sees a read past its end.
*/
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static int replay(const char *path) {
  FILE *file = fopen(path, "rb");
  long size = -1;
  int rc = 1;
  uint8_t *bytes = NULL;
  if (file && fseek(file, 0, SEEK_END) == 0) size = ftell(file);
  if (size >= 0) bytes = malloc(size > 0 ? (size_t)size : 1);
  if (bytes && fseek(file, 0, SEEK_SET) == 0 && fread(bytes, 1, (size_t)size, file) == (size_t)size) {
    fprintf(stderr, "%s\n", path); /* the last one named is the one that ended the process */
    rc = LLVMFuzzerTestOneInput(bytes, (size_t)size);
  } else {
    fprintf(stderr, "%s: cannot be read\n", path);
  }
  free(bytes);
  if (file) fclose(file);
  return rc;
}

int main(int argc, char **argv) {
  int failed = 0;
  for (int i = 1; i < argc; i++)
    failed |= replay(argv[i]);
  printf("%d inputs\n", argc - 1);
  return failed;
}
