// What the page itself does with the script: it offers the dial. `edgewise` is there, because both scripts are deferred.
const dial = document.querySelector("#dial");
dial.addEventListener("change", () => edgewise.dial(+dial.value));
document.addEventListener("edgewise", () => { dial.value = String(edgewise.dial()); });
