/**
 * Loaded before bin/ax with `--import`: what `createContext` takes for the time is that of the machine, moved by as
 * many milliseconds as AX_TEST_LATER says. The product itself knows of no such variable.
 */

const { now } = Date;
const later = Number(process.env.AX_TEST_LATER);
Date.now = () => now() + later;
