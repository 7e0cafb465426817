// Package lease decides which of several replicas does what only one of them should do, and keeps one that was thought
// dead from going on.
//
// A lease is a row of the database. Its holder counts a beat up from time to time. Somebody else takes it over when he has
// seen the same beat for as long as his patience lasts, by the time that passed at himself: no two clocks are ever compared,
// so that none of them can be wrong. Each holder has a fencing number of his own, and whatever a holder writes is under the
// condition that his number still is the one in the row. A holder that was stopped and goes on later finds that out with
// his first write.
//
// What a holder does outside the database cannot be fenced. So his work ends at three quarters of the patience after his last
// sign of life, by a timer that waits for no answer. Two never work at a time unless a process stands still in the middle of
// something, or a relay took a mail and its answer came too late: that mail may be sent twice, under the same Message-ID.
package lease
