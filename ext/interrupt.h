/* SPDX-License-Identifier: MIT
**
** interrupt.h: does the program want long work of the engine to stop?
*/
#ifndef SDB_INTERRUPT_H
#define SDB_INTERRUPT_H

/* For seqdb_set_interrupt(); the context is a sdb_connection. */
int sdb_connection_interrupted(void *connection);
/* The same for a call that sleeps and asks only now and then: counts as some work of the program's. */
int sdb_connection_interrupted_asleep(void *connection);

#endif /* SDB_INTERRUPT_H */
