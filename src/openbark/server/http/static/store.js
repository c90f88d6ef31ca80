// What the browser keeps: the history with its audio (IndexedDB), favourites and settings (localStorage).

const STORE = "takes";

function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("openbark", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id", autoIncrement: true });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function run(mode, act) {
  const database = await open();
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(STORE, mode);
    const request = act(transaction.objectStore(STORE));
    transaction.oncomplete = () => {
      database.close();
      resolve(request?.result);
    };
    transaction.onerror = () => reject(transaction.error);
  });
}

export const addTake = (take) => run("readwrite", (store) => store.add(take));
export const putTake = (take) => run("readwrite", (store) => store.put(take));
export const takes = () => run("readonly", (store) => store.getAll());
export const removeTake = (id) => run("readwrite", (store) => store.delete(id));
export const clearTakes = () => run("readwrite", (store) => store.clear());

export function remembered(name, fallback) {
  try {
    return JSON.parse(localStorage.getItem(`openbark.${name}`)) ?? fallback;
  } catch {
    return fallback;
  }
}

export const remember = (name, value) => localStorage.setItem(`openbark.${name}`, JSON.stringify(value));
export const forget = (name) => localStorage.removeItem(`openbark.${name}`);
