// Times as people read them.

/** Seconds as 0:05, 1:05 or 2:01:05. */
export function clock(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const part = (value) => `${value}`.padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${part(minutes)}:${part(whole % 60)}` : `${minutes}:${part(whole % 60)}`;
}

/** What is left of a job when `done` of `steps` took `seconds`; null before the first. */
export function left(done, steps, seconds) {
  return done > 0 ? (seconds / done) * (steps - done) : null;
}
